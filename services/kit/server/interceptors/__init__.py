"""What happens around every call: identity, deadline, admission, errors, log, metrics, spans.

`CallInterceptor` puts it all around a handler, in the order that `call.py` shows top to bottom.
"""

from services.kit.server.interceptors.admission import Admission
from services.kit.server.interceptors.auth import BearerAuth
from services.kit.server.interceptors.call import CallInterceptor, CallPolicy

__all__ = ["Admission", "BearerAuth", "CallInterceptor", "CallPolicy"]
