"""Every rail; importing this package registers them by name (`plugins("rail")`).

python -c "import trueline.guard.rails; from trueline.core.registry import plugins; print(list(plugins('rail')))"
"""

from trueline.guard.rails.canary import Canary
from trueline.guard.rails.enablement import Enabled
from trueline.guard.rails.flow import Flow, FlowRule
from trueline.guard.rails.grounding import Grounding
from trueline.guard.rails.injection import Injection
from trueline.guard.rails.jailbreak import Jailbreak
from trueline.guard.rails.language import Language
from trueline.guard.rails.learned import Learned
from trueline.guard.rails.limits import Limits
from trueline.guard.rails.markup import Markup
from trueline.guard.rails.media import Media
from trueline.guard.rails.mismatch import Mismatch
from trueline.guard.rails.pii import Pii
from trueline.guard.rails.schema import Schema
from trueline.guard.rails.secrets import Secrets
from trueline.guard.rails.spend import Spend, SpendLimit
from trueline.guard.rails.tools import Argument, ToolRule, Tools
from trueline.guard.rails.topics import Topic, Topics
from trueline.guard.rails.words import Words

__all__ = [
    "Argument", "Canary", "Enabled", "Flow", "FlowRule", "Grounding", "Injection", "Jailbreak", "Language", "Learned", "Limits",
    "Markup", "Media", "Mismatch", "Pii", "Schema", "Secrets", "Spend", "SpendLimit", "ToolRule", "Tools", "Topic", "Topics",
    "Words",
]  # fmt: skip
