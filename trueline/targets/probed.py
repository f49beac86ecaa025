"""A model in this process behind its probe: what the probe stops is answered with a message, and nothing is generated.

    target = probed(model, Path("models/probe"))       # a LocalModel, or a deployment of one
    completion = await target.reply(conversation)             # completion.finish is "filtered" where it was stopped

The conversation is read as the model reads it, with all turns, the system prompt and the tools. A prompt is read alone, so that
no other request can move its score; the pass ends at the probe's layer, and the model's own reading of the prompt comes on top.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from trueline.core.ports import Target
from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling
from trueline.models.probe import Probe, ProbeError
from trueline.targets.local import LocalModel
from trueline.targets.spelling import Token
from trueline.targets.wrappers import Deployment

MESSAGE = "This was stopped by a policy."


@dataclass(frozen=True)
class Probed:
    """A local model that is asked only what its probe lets through; it spells as the model does."""

    target: LocalModel
    probe: Probe
    message: str = MESSAGE  # what a client reads in place of a reply

    @property
    def name(self) -> str:
        """The model's name with the probe's, since another probe is another target."""
        return f"{self.target.name}+probe:{self.probe.digest[:8]}"

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """What the model answers, or the message with the finish "filtered", which an endpoint tells as `content_filter`."""
        policy = self.target.policy
        if self.probe.score(policy, policy.codec.prompt(conversation)) > self.probe.threshold:
            return Completion(prompt=Prompt(conversation=conversation), text=self.message, model=self.name, finish="filtered")
        return replace(await self.target.reply(conversation, sampling), model=self.name)

    @property
    def context(self) -> int | None:
        """The model's."""
        return self.target.context

    def count(self, conversation: Conversation) -> int:
        """As the model counts."""
        return self.target.count(conversation)

    async def spell(self, completion: Completion, sampling: Sampling, top: int = 0) -> tuple[Token, ...]:
        """As the model spells. The message is one piece that was certain: nobody drew it."""
        if completion.finish == "filtered":
            return (Token(text=completion.text, logprob=0.0),)
        return await self.target.spell(completion, sampling, top)


def probed(target: Target, folder: Path) -> Target:
    """A target with the probe of a folder before its model. Raises ProbeError where that model is not in this process."""
    if isinstance(target, LocalModel):
        return Probed(target, Probe.load(folder, target.policy))
    if isinstance(target, Deployment):
        return replace(target, target=probed(target.target, folder))
    raise ProbeError(
        f"{target.name}: expected a model in this process, whose states a probe can read, got one that is elsewhere or behind "
        f"a guard; serve the model with --probe, and name that endpoint in the deployment, or to guard serve --upstream"
    )
