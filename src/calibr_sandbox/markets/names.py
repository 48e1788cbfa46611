"""The English names of countries and currencies. One that is not listed is called by its code."""

from typing import Final

_COUNTRIES: Final = """
AE United Arab Emirates|AR Argentina|AT Austria|AU Australia|BA Bosnia & Herzegovina|BD Bangladesh|BE Belgium
BG Bulgaria|BH Bahrain|BO Bolivia|BR Brazil|CA Canada|CH Switzerland|CL Chile|CN China|CO Colombia|CR Costa Rica
CY Cyprus|CZ Czechia|DE Germany|DK Denmark|DO Dominican Republic|EC Ecuador|EE Estonia|EG Egypt|ES Spain|FI Finland
FR France|GB United Kingdom|GE Georgia|GR Greece|GT Guatemala|HK Hong Kong SAR|HR Croatia|HU Hungary|ID Indonesia
IE Ireland|IL Israel|IN India|IS Iceland|IT Italy|JM Jamaica|JO Jordan|JP Japan|KE Kenya|KR South Korea|KW Kuwait
KZ Kazakhstan|LB Lebanon|LI Liechtenstein|LK Sri Lanka|LT Lithuania|LU Luxembourg|LV Latvia|MA Morocco|MC Monaco
MD Moldova|ME Montenegro|MK North Macedonia|MO Macao SAR|MT Malta|MU Mauritius|MX Mexico|MY Malaysia|NG Nigeria
NL Netherlands|NO Norway|NZ New Zealand|OM Oman|PA Panama|PE Peru|PH Philippines|PK Pakistan|PL Poland|PT Portugal
PY Paraguay|QA Qatar|RO Romania|RS Serbia|SA Saudi Arabia|SE Sweden|SG Singapore|SI Slovenia|SK Slovakia|SN Senegal
SV El Salvador|TH Thailand|TN Tunisia|TR Türkiye|TW Taiwan|TZ Tanzania|UA Ukraine|UG Uganda|US United States
UY Uruguay|UZ Uzbekistan|VN Vietnam|ZA South Africa|ZM Zambia
"""
_CURRENCIES: Final = """
AED United Arab Emirates Dirham|ARS Argentine Peso|AUD Australian Dollar|BDT Bangladeshi Taka|BGN Bulgarian Lev
BHD Bahraini Dinar|BRL Brazilian Real|CAD Canadian Dollar|CHF Swiss Franc|CLP Chilean Peso|CNY Chinese Renminbi Yuan
COP Colombian Peso|CRC Costa Rican Colón|CZK Czech Koruna|DKK Danish Krone|EGP Egyptian Pound|EUR Euro
GBP British Pound|HKD Hong Kong Dollar|HUF Hungarian Forint|IDR Indonesian Rupiah|ILS Israeli New Shekel
INR Indian Rupee|ISK Icelandic Króna|JOD Jordanian Dinar|JPY Japanese Yen|KES Kenyan Shilling|KRW South Korean Won
KWD Kuwaiti Dinar|MAD Moroccan Dirham|MXN Mexican Peso|MYR Malaysian Ringgit|NGN Nigerian Naira|NOK Norwegian Krone
NZD New Zealand Dollar|OMR Omani Rial|PEN Peruvian Sol|PHP Philippine Peso|PKR Pakistani Rupee|PLN Polish Złoty
QAR Qatari Riyal|RON Romanian Leu|RSD Serbian Dinar|SAR Saudi Riyal|SEK Swedish Krona|SGD Singapore Dollar
THB Thai Baht|TND Tunisian Dinar|TRY Turkish Lira|TWD New Taiwan Dollar|UAH Ukrainian Hryvnia|USD United States Dollar
UYU Uruguayan Peso|VND Vietnamese Đồng|ZAR South African Rand
"""


def _read(text: str) -> dict[str, str]:
    pairs = (entry.partition(" ") for line in text.split("\n") for entry in line.split("|"))
    return {code: name for code, _, name in pairs if code}


COUNTRY_NAMES: Final = _read(_COUNTRIES)
CURRENCY_NAMES: Final = _read(_CURRENCIES)
