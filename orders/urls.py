"""Addresses of port-in orders and their drafts."""

from django.urls import path

from orders import (
    views,
    views_activation,
    views_documents,
    views_edit,
    views_notes,
    views_number,
    views_order,
)

app_name = "orders"
urlpatterns = [
    path("new/", views.create, name="create"),
    path("drafts/<uuid:pk>/", views.draft, name="draft"),
    path("drafts/<uuid:pk>/live/", views.draft_live, name="draft_live"),
    path("<int:pk>/", views_order.detail, name="detail"),
    path("<int:pk>/live/", views_order.live, name="live"),
    path("<int:pk>/numbers/", views_order.numbers, name="numbers"),
    path("<int:pk>/numbers.csv", views_number.numbers_csv, name="numbers_csv"),
    path("<int:pk>/numbers/<str:digits>/", views_number.number, name="number"),
    path("<int:pk>/numbers/<str:digits>/reveal/", views_number.reveal, name="reveal_number"),
    path("<int:pk>/refresh/", views_order.refresh, name="refresh"),
    path("<int:pk>/edit/", views_edit.edit, name="edit"),
    path("<int:pk>/note/", views_notes.note, name="note"),
    path("<int:pk>/team-note/", views_notes.team_note, name="team_note"),
    path("<int:pk>/documents/", views_documents.document, name="document"),
    path(
        "<int:pk>/documents/<int:document_pk>/",
        views_documents.document_file,
        name="document_file",
    ),
    path("<int:pk>/cancel/", views_order.cancel, name="cancel"),
    path("<int:pk>/activate/", views_activation.activate, name="activate"),
    path("<int:pk>/activate/live/", views_activation.activation_live, name="activation_live"),
    path("<int:pk>/reveal/", views_order.reveal, name="reveal"),
    path("<int:pk>/raw/", views_order.raw, name="raw"),
    path("<int:pk>/owner/", views_order.owner, name="owner"),
]
