"""The wire: Spyne types and services, the WSDL, the protocol. No logic."""
