"""Whether a strategy sees a later bar, and which strategy it is."""

from toolkit.signals.causality.certificate import Certificate, Leak
from toolkit.signals.causality.certification import certify
from toolkit.signals.causality.identity import identity

__all__ = ["Certificate", "Leak", "certify", "identity"]
