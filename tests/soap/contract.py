"""Sections 1.1 and 2 of the protocol reference written out as data."""

from __future__ import annotations

ENUMERATIONS: dict[str, dict[str, int]] = {
    "StatusCode": {
        "SUCCESS": 0,
        "FAIL": 1,
        "INVALIDTRANSACTION": 2,
        "UNKNOWNCLUSTER": 3,
        "UNKNOWNJOB": 4,
        "UNKNOWNFILE": 5,
        "INCOMPLETE": 6,
        "INVALIDOFFSET": 7,
        "ALREADYEXISTS": 8,
    },
    "ClassAdAttrType": {
        "INTEGER-ATTR": 110,
        "FLOAT-ATTR": 102,
        "STRING-ATTR": 115,
        "EXPRESSION-ATTR": 120,
        "BOOLEAN-ATTR": 98,
        "UNDEFINED-ATTR": 117,
        "ERROR-ATTR": 101,
    },
    "HashType": {"NOHASH": 0, "MD5HASH": 1},
    "UniverseType": {
        "STANDARD": 1,
        "VANILLA": 5,
        "SCHEDULER": 7,
        "MPI": 8,
        "GRID": 9,
        "JAVA": 10,
        "PARALLEL": 11,
        "LOCAL": 12,
        "VM": 13,
    },
    "ClassAdType": {
        "STARTD-AD-TYPE": 0,
        "QUILL-AD-TYPE": 1,
        "SCHEDD-AD-TYPE": 2,
        "SUBMITTOR-AD-TYPE": 3,
        "LICENSE-AD-TYPE": 4,
        "MASTER-AD-TYPE": 5,
        "CKPTSRVR-AD-TYPE": 6,
        "COLLECTOR-AD-TYPE": 7,
        "STORAGE-AD-TYPE": 8,
        "NEGOTIATOR-AD-TYPE": 9,
        "HAD-AD-TYPE": 10,
        "GENERIC-AD-TYPE": 11,
    },
}

# A member is written "name type min..max nil"; nil is "nil", "not" (nillable="false") or absent.
STRUCTS: dict[str, list[str]] = {
    "Status": ["code StatusCode 1..1", "message string 0..1 nil", "next Status 0..1 nil"],
    "ClassAdStructAttr": ["name string 1..1 not", "type ClassAdAttrType 1..1", "value string 1..1 not"],
    "ClassAdStruct": ["item ClassAdStructAttr 0..unbounded nil"],
    "ClassAdStructArray": ["item ClassAdStruct 0..unbounded nil"],
    "ClassAdStructAndStatus": ["status Status 1..1", "classAd ClassAdStruct 0..1 nil"],
    "ClassAdStructArrayAndStatus": ["status Status 1..1", "classAdArray ClassAdStructArray 0..1 nil"],
    "StringAndStatus": ["status Status 1..1", "message string 0..1 nil"],
    "Transaction": ["id int 0..1", "duration int 0..1"],
    "TransactionAndStatus": ["status Status 1..1", "transaction Transaction 0..1"],
    "IntAndStatus": ["status Status 1..1", "integer int 0..1"],
    "Requirements": ["item Requirement 0..unbounded nil"],
    "RequirementsAndStatus": ["status Status 1..1", "requirements Requirements 0..1 nil"],
    "Base64DataAndStatus": ["status Status 1..1", "data base64Binary 0..1 nil"],
    "FileInfo": ["name string 1..1 not", "size long 1..1"],
    "FileInfoArray": ["item FileInfo 0..unbounded nil"],
    "FileInfoArrayAndStatus": ["status Status 1..1", "info FileInfoArray 0..1 nil"],
}
COLLECTOR_STRUCTS = [
    "Status",
    "ClassAdStructAttr",
    "ClassAdStruct",
    "ClassAdStructArray",
    "ClassAdStructAndStatus",
    "ClassAdStructArrayAndStatus",
    "StringAndStatus",
]

_T = "transaction Transaction 1..1"
_T_ANY = "transaction Transaction 0..1 nil"
_CLUSTER = "clusterId int 1..1"
_JOB = "jobId int 1..1"
_REASON = "reason string 0..1 nil"
_NAME = "name string 0..1 nil"

# Operation: its request members, and the type of the single child of its response.
SCHEDD: dict[str, tuple[list[str], str]] = {
    "getVersionString": ([], "StringAndStatus"),
    "getPlatformString": ([], "StringAndStatus"),
    "beginTransaction": (["duration int 1..1"], "TransactionAndStatus"),
    "commitTransaction": ([_T], "Status"),
    "abortTransaction": ([_T], "Status"),
    "extendTransaction": ([_T, "duration int 1..1"], "TransactionAndStatus"),
    "newCluster": ([_T], "IntAndStatus"),
    "removeCluster": ([_T_ANY, _CLUSTER, _REASON], "Status"),
    "newJob": ([_T, _CLUSTER], "IntAndStatus"),
    "removeJob": ([_T_ANY, _CLUSTER, _JOB, _REASON, "force-removal boolean 1..1"], "Status"),
    "holdJob": (
        [
            _T_ANY,
            _CLUSTER,
            _JOB,
            _REASON,
            "email-user boolean 1..1",
            "email-admin boolean 1..1",
            "system-hold boolean 1..1",
        ],
        "Status",
    ),
    "releaseJob": (
        [_T_ANY, _CLUSTER, _JOB, _REASON, "email-user boolean 1..1", "email-admin boolean 1..1"],
        "Status",
    ),
    "submit": ([_T, _CLUSTER, _JOB, "jobAd ClassAdStruct 0..1 nil"], "RequirementsAndStatus"),
    "getJobAds": ([_T_ANY, "constraint string 0..1 nil"], "ClassAdStructArrayAndStatus"),
    "getJobAd": ([_T_ANY, _CLUSTER, _JOB], "ClassAdStructAndStatus"),
    "declareFile": (
        [_T, _CLUSTER, _JOB, _NAME, "size int 1..1", "hashType HashType 1..1", "hash string 0..1 nil"],
        "Status",
    ),
    "sendFile": ([_T, _CLUSTER, _JOB, _NAME, "offset int 1..1", "data base64Binary 0..1 nil"], "Status"),
    "getFile": (
        [_T_ANY, _CLUSTER, _JOB, _NAME, "offset int 1..1", "length int 1..1"],
        "Base64DataAndStatus",
    ),
    "closeSpool": ([_T_ANY, _CLUSTER, _JOB], "Status"),
    "listSpool": ([_T_ANY, _CLUSTER, _JOB], "FileInfoArrayAndStatus"),
    "requestReschedule": ([], "Status"),
    "discoverJobRequirements": (["jobAd ClassAdStruct 0..1 nil"], "RequirementsAndStatus"),
    "createJobTemplate": (
        [
            _CLUSTER,
            _JOB,
            "owner string 0..1 nil",
            "type UniverseType 1..1",
            "cmd string 0..1 nil",
            "args string 0..1 nil",
            "requirements string 0..1 nil",
        ],
        "ClassAdStructAndStatus",
    ),
}

_QUERIES = (
    "queryStartdAds",
    "queryScheddAds",
    "queryMasterAds",
    "querySubmittorAds",
    "queryLicenseAds",
    "queryStorageAds",
    "queryAnyAds",
)
COLLECTOR: dict[str, tuple[list[str], str]] = {
    "getVersionString": ([], "StringAndStatus"),
    "getPlatformString": ([], "StringAndStatus"),
    "insertAd": (["type ClassAdType 1..1", "ad ClassAdStruct 1..1 not"], "Status"),
    **{name: (["constraint string 0..1 nil"], "ClassAdStructArray") for name in _QUERIES},
}

LEVELS = {
    "WRITE": [
        "beginTransaction",
        "commitTransaction",
        "abortTransaction",
        "extendTransaction",
        "newCluster",
        "removeCluster",
        "newJob",
        "removeJob",
        "holdJob",
        "releaseJob",
        "submit",
        "declareFile",
        "sendFile",
        "closeSpool",
        "requestReschedule",
    ],
    "READ": [
        "getJobAds",
        "getJobAd",
        "getFile",
        "listSpool",
        "discoverJobRequirements",
        "createJobTemplate",
        *_QUERIES,
    ],
    "NONE": ["getVersionString", "getPlatformString"],
    "ADVERTISE": ["insertAd"],
    "ADMINISTRATOR": [],
}

DECLARED_PREFIXES = [
    ("tns", "urn:condor"),
    ("SOAP-ENV", "http://schemas.xmlsoap.org/soap/envelope/"),
    ("SOAP-ENC", "http://schemas.xmlsoap.org/soap/encoding/"),
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    ("xsd", "http://www.w3.org/2001/XMLSchema"),
    ("condor", "urn:condor"),
    ("SOAP", "http://schemas.xmlsoap.org/wsdl/soap/"),
    ("MIME", "http://schemas.xmlsoap.org/wsdl/mime/"),
    ("DIME", "http://schemas.xmlsoap.org/ws/2002/04/dime/wsdl/"),
    ("WSDL", "http://schemas.xmlsoap.org/wsdl/"),
    (None, "http://schemas.xmlsoap.org/wsdl/"),
]


def container(operation: str) -> str:
    """The name of the single child of an operation's response."""
    return "status" if operation == "insertAd" else "result" if operation.startswith("query") else "response"
