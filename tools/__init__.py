"""What installs or builds at set-up: the Triton and Milvus servers, and models converted from packages.

Nothing here serves a request.
"""
