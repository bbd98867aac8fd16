"""The names that vendors give to columns, as :func:`backtune.data.ingest.named_columns.plain_name` makes them.

Where a file has several for one part, the first here is taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

TIME_NAMES: Final = (
    *"""
    timeperiodstart opentime timeopen windowstart candlebegintime barstart starttime begintime startedat
    begin start startdate unix unixtimestamp unixtime epoch epochms timestamp timestampms timestamputc
    tsevent ts bartime datetime dateandtime datetimeutc utcdatetime gmttime utctime timeutc dateutc
    localtime time date dtyyyymmdd yyyymmdd day tradedate tradingdate trddt pricedate quotedate
    sessiondate asof period dt t dates datum zeit fecha data tarih дата 日期 时间 日時 日付 日付け 날짜 indexlevel0
    index unnamed0
    """.split(),
    "",
)
END_TIME_NAMES: Final = (
    "closetime",
    "timeclose",
    "endtime",
    "end",
    "enddate",
    "tsclose",
    "barend",
    "timeperiodend",
)
DATE_NAMES: Final = tuple(
    """
    date dtyyyymmdd yyyymmdd day tradedate tradingdate datum fecha data trddt dates tarih дата
    """.split()
)
CLOCK_NAMES: Final = tuple(
    """
    time hhmmss hhmm clock timeofday hour hours zeit uhrzeit hora ora heure times
    """.split()
)
PRICE_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "open": tuple(
        """
        open o openprice opening openingprice priceopen first eroffnung offnung eroffnungskurs eroffn erster
        ouverture ouv apertura abertura otwarcie 开盘 开盘价 始値 시가 오픈 pxopen откр acilis
    """.split()
    ),
    "high": tuple(
        """
        high h highprice pricehigh max highest hoch tageshoch haut plushaut maximo maxima massimo najwyzszy
        最高 最高价 高値 고가 高 pxhigh макс yuksek hoog
    """.split()
    ),
    "low": tuple(
        """
        low l lowprice pricelow min lowest tief tagestief bas plusbas minimo minima najnizszy 最低 最低价 安値 저가 低
        pxlow мин dusuk laag
    """.split()
    ),
    "close": tuple(
        """
        close c closeprice closing closingprice priceclose closelast last lastprice price settle settlement
        schluss schlusskurs letzter zuletzt cloture fermeture dernier cierre ultimo chiusura fechamento
        zamkniecie 收盘 收盘价 終値 종가 pxlast цена simdi laatste ostatnio
    """.split()
    ),
}
VOLUME_NAMES: Final = tuple(
    """
    volume vol v basevolume volumebase tradedvolume totaltradedquantity tottrdqty qty tickvolume tickvol
    ticks tickqty realvolume vols shares volumen umsatz stuck 成交量 出来高 거래량 wolumen wol hac объем 交易量
    pxvolume
    """.split()
)
ADJUSTED_CLOSE_NAMES: Final = (
    "adjclose",
    "adjustedclose",
    "closeadjusted",
    "closeadj",
    "adjustedcloseprice",
    "adjcloseprice",
)
SPLIT_NAMES: Final = ("splitfactor", "splitcoefficient", "stocksplits", "splitratio", "splits", "split")
DIVIDEND_NAMES: Final = ("divcash", "dividendamount", "dividends", "dividend", "exdividend", "cashdividend")
SYMBOL_NAMES: Final = tuple(
    """
    symbol ticker sym tic instrument instrumentid contract pair secid code tscode actsymbol stock asset
    coin isin name
    """.split()
)
VOLUME_PART_NAMES: Final = (("up", "down"), ("buyvolume", "sellvolume"), ("upvolume", "downvolume"))
ZONE_NAMES: Final = (
    "timezone",
    "tz",
    "zone",
    "exchangetimezone",
    "offset",
    "utcoffset",
    "gmtoffset",
    "tzoffset",
)
# These vendors give prices as they were traded beside the dividends.
RAW_DIVIDEND_NAMES: Final = ("divcash", "dividendamount")
# Words that make an indicator of a volume.
INDICATOR_WORDS = re.compile(
    r"(?i)\b(?:ma|sma|ema|avg|average|mean|std|ratio)\b|(?:_|-)(?:ma|sma|ema|avg|std)\b"
)
PERIOD_NAMES: Final = ("per", "interval", "timeframe", "resolution", "granularity", "barsize")
RATE_NAMES: Final = ("fundingrate", "rate", "lastfundingrate", "funding")
FUNDING_TIME_NAMES: Final = ("fundingtime", "calctime", "fundingratetimestamp")
