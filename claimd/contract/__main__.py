"""`python -m claimd.contract > docs/api.md` writes the API reference."""

import sys

from claimd.contract.reference import reference

sys.stdout.write(reference())
