"""The literature's claims on isotropy and retrieval, tested by tests that are declared beforehand."""
