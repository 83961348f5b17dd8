"""Birdbath: the BirdBath SOAP interface of HTCondor (condorSchedd and condorCollector), built anew."""

__version__ = "0.1.0"
