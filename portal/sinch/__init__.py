"""The only code that speaks HTTP to Sinch; knows no models and reads no settings.

`transport` carries requests (token, time-outs, retries, shared pace) with the help of `parts`
(what it is given to work with) and `network` (what addresses, answers and failures mean). `porting`
and `hosting` have one method for each operation of their API, `payloads` and `payloads_hosting` the
shapes of its JSON. `errors` says what can go wrong; `shared` keeps tokens and pace in Redis for all
processes.
"""
