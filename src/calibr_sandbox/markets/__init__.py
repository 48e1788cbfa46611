"""Markets, catalogs, price lists, and the prices that a buyer in a context sees."""
