"""The only code that speaks HTTP to Sinch; knows no models and reads no settings.

`transport` carries requests (token, time-outs, retries, shared pace), `porting` has one method
for each operation of the Porting API, `payloads` the shapes of its JSON, `errors` what can go
wrong, and `shared` keeps tokens and pace in Redis for all processes.
"""
