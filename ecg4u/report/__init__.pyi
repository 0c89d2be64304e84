from .document import content_security_policy as content_security_policy
from .document import render as render
from .files import write as write
