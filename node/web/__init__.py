"""HTTP: routes, pages and their errors. Handlers parse, call a service and render; no rule lives here."""
