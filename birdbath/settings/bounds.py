"""Settings of how much one client, one account, one request and all together may take."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class BoundSettings(BaseSettings):
    """Every bound on what callers may have the server do."""

    max_connections: int = Field(4096, ge=1, description="most connections at a time")
    max_connections_per_client: int = Field(2048, ge=1, description="most connections of one address")
    max_requests: int = Field(
        256,
        ge=0,
        description="most SOAP requests in progress, more are answered 503; 0, here as below: no limit",
    )
    max_requests_per_client: int = Field(128, ge=0, description="the same for one address")
    max_requests_per_second: float = Field(0.0, ge=0, description="of one address; more are answered 429")
    max_body_bytes: int = Field(
        512 << 20, ge=0, description="most bytes of all request bodies in progress together"
    )
    max_body_bytes_per_client: int = Field(256 << 20, ge=0, description="the same for one address")
    max_headers: int = Field(100, ge=1, description="most headers of a request")
    max_header_bytes: int = Field(64 << 10, ge=1024, description="most bytes of a request's headers")
    header_seconds: float = Field(
        20.0, gt=0, description="seconds in which a TLS handshake must end, and a request's headers arrive"
    )
    body_seconds: float = Field(
        60.0, gt=0, description="seconds in which a request's body must arrive, and one more for each 16 KiB"
    )
    stall_seconds: float = Field(
        60.0, gt=0, description="seconds that a client may leave an answer unread before it is cut off"
    )
    max_transactions_per_owner: int = Field(
        1000, ge=0, description="most open transactions of an account; callers without one share theirs"
    )
    max_staged_bytes: int = Field(
        100 << 30, ge=0, description="most bytes of files in open transactions, of all together"
    )
    max_staged_bytes_per_owner: int = Field(10 << 30, ge=0, description="the same of an account")
    min_free_bytes: int = Field(
        64 << 20,
        ge=0,
        description="bytes of the disk that are left to the database: files are refused first",
    )
    max_request_bytes: int = Field(64 << 20, ge=1024, description="largest request body in bytes")
    max_xml_bytes: int = Field(
        2 << 20, ge=1024, description="longest request in bytes, the text of a file's chunk apart"
    )
    max_xml_depth: int = Field(
        256, ge=16, le=256, description="most elements within each other, the envelope included"
    )
    max_xml_tags: int = Field(32_000, ge=100, description="most tags of a request longer than 64 KiB")
    max_xml_attributes: int = Field(
        32_000, ge=100, description="most XML attributes of a request longer than 64 KiB"
    )
    max_file_reply: int = Field(64 << 20, ge=1, description="most bytes that one getFile answers")
    max_reply_bytes: int = Field(
        1 << 30,
        ge=1 << 16,
        description="most bytes of the ads of one answer, more is a fault that names the service with pages",
    )
    max_expression_length: int = Field(
        64 << 10, ge=1024, le=1 << 20, description="longest ClassAd expression in characters"
    )
    max_expression_cost: int = Field(
        200_000,
        ge=1000,
        description="most operands and operators, about 100 ns each, that evaluating an expression may take"
        " with all that it refers to",
    )
    max_query_seconds: float = Field(
        30.0, ge=0, description="seconds that evaluating a query's constraint may take; 0: no limit"
    )
    max_soap_transaction_duration: int = Field(
        -1, description="MAX_SOAP_TRANSACTION_DURATION: longest lease in seconds; 0 or less: no limit"
    )
    max_jobs_submitted: int = Field(2147483647, ge=0, description="MAX_JOBS_SUBMITTED")
    max_jobs_per_owner: int = Field(100000, ge=0, description="MAX_JOBS_PER_OWNER, of callers who are known")
    max_jobs_per_submission: int = Field(
        20000, ge=0, description="MAX_JOBS_PER_SUBMISSION: jobs of one cluster"
    )
