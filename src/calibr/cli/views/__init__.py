"""How answers of the API look to a person. Each module draws one kind of thing; none asks the API for more."""
