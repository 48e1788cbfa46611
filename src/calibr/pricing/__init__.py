"""Rules, prices, explanations. Pure: no engine, no session, no clock."""
