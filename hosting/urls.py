"""Addresses of hosting orders, their drafts, imported numbers and qualified numbers."""

from django.urls import path

from hosting import (
    views_draft,
    views_imported,
    views_number,
    views_order,
    views_overview,
    views_qualified,
)

app_name = "hosting"
urlpatterns = [
    # Drafts
    path("new/", views_draft.choose, name="choose"),
    path("new/<slug:kind>/", views_draft.create, name="create"),
    path("drafts/<uuid:pk>/", views_draft.draft, name="draft"),
    path("drafts/<uuid:pk>/live/", views_draft.draft_live, name="draft_live"),
    # Orders
    path("<int:pk>/", views_order.detail, name="detail"),
    path("<int:pk>/live/", views_order.live, name="live"),
    path("<int:pk>/numbers/", views_order.numbers, name="numbers"),
    path("<int:pk>/numbers.csv", views_order.numbers_csv, name="numbers_csv"),
    path("<int:pk>/numbers/<str:digits>/", views_number.number, name="number"),
    path("<int:pk>/numbers/<str:digits>/live/", views_number.live, name="number_live"),
    path("<int:pk>/numbers/<str:digits>/refresh/", views_number.refresh, name="number_refresh"),
    path("<int:pk>/refresh/", views_order.refresh, name="refresh"),
    path("<int:pk>/raw/", views_order.raw, name="raw"),
    path("<int:pk>/owner/", views_order.owner, name="owner"),
    path("<int:pk>/team-note/", views_order.team_note, name="team_note"),
    path("<int:pk>/mark/", views_order.mark, name="mark"),
    path("<int:pk>/migrate/", views_order.migrate, name="migrate"),
    # Imported numbers
    path("imported/", views_imported.imported_numbers, name="imported_numbers"),
    path("imported/live/", views_imported.imported_live, name="imported_live"),
    path("imported/numbers.csv", views_imported.imported_csv, name="imported_csv"),
    path("imported/new/", views_imported.import_number, name="import_number"),
    path("imported/<int:pk>/", views_imported.imported_number, name="imported_number"),
    path(
        "imported/<int:pk>/live/", views_imported.imported_number_live, name="imported_number_live"
    ),
    path("imported/<int:pk>/refresh/", views_imported.refresh, name="imported_refresh"),
    path("imported/<int:pk>/rename/", views_imported.rename, name="imported_rename"),
    path("imported/<int:pk>/move/", views_imported.move, name="imported_move"),
    path("imported/<int:pk>/delete/", views_imported.delete, name="imported_delete"),
    # Qualified numbers
    path("qualified/", views_qualified.qualified_numbers, name="qualified_numbers"),
    path("qualified/numbers.csv", views_qualified.qualified_csv, name="qualified_csv"),
    path("qualified/add/", views_qualified.qualify, name="qualify"),
    path("qualified/invoices/", views_qualified.invoices, name="qualified_invoices"),
    path("qualified/text-enable/", views_qualified.text_enable, name="qualified_text_enable"),
    path("qualified/<int:pk>/", views_qualified.qualified_number, name="qualified_number"),
    path(
        "qualified/<int:pk>/live/",
        views_qualified.qualified_number_live,
        name="qualified_number_live",
    ),
    path("qualified/<int:pk>/refresh/", views_qualified.refresh, name="qualified_refresh"),
    path("qualified/<int:pk>/call/", views_qualified.call, name="qualified_call"),
    path("qualified/<int:pk>/verify/", views_qualified.verify, name="qualified_verify"),
    path("qualified/<int:pk>/delete/", views_qualified.delete, name="qualified_delete"),
    # How complete the picture is
    path("overview/", views_overview.overview_page, name="overview"),
    path("overview/walk/", views_overview.walk_now, name="walk_now"),
]
