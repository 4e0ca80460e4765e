"""What every table shares: constraint names that migrations can rely on, and column shorthands."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from sqlalchemy import DateTime, MetaData, Numeric, Text, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


# Ids sort bytewise, so that a job's place in time is its place in an index, whatever the locale.
Id = Annotated[str, mapped_column(Text(collation="C"))]
PrimaryId = Annotated[str, mapped_column(Text(collation="C"), primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
# A price per million has at most six decimals, so a product with a token count is exact in twelve.
Usd = Annotated[Decimal, mapped_column(Numeric(24, 12))]
