"""A voice assistant: speech to text, an agent with a memory, text to speech.

    python examples/voice_assistant.py

`ada.instructions(...)` is all that recall needs: the pipeline calls its agents itself. Speech is scripted here; a
`VoicePipeline` without models of its own uses OpenAI's.
"""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
from agents import Agent, Runner, SQLiteSession, set_tracing_disabled
from agents.voice import AudioInput, VoicePipeline, VoicePipelineConfig, VoiceWorkflowBase, VoiceWorkflowHelper
from agents.voice.testing import ScriptedSTTModel, ScriptedTTSModel, pcm16_samples
from offline import offline_model

from semantic_memory import SemanticMemory, UserMemory


class Remembering(VoiceWorkflowBase):
    """One spoken turn: run the agent, say what it answers, learn."""

    def __init__(self, user: UserMemory, session: SQLiteSession) -> None:
        self.user, self.session = user, session
        own = "You are heard, not read: one short sentence."
        self.agent = Agent(name="Voice", instructions=user.instructions(own), model=offline_model())

    async def run(self, transcription: str) -> AsyncIterator[str]:
        result = Runner.run_streamed(self.agent, transcription, session=self.session)
        async for text in VoiceWorkflowHelper.stream_text_from(result):
            yield text
        await self.user.learn(self.session, result=result)


async def call(user: UserMemory, call_id: str, *heard: str) -> None:
    """A phone call in which these sentences are heard."""
    workflow = Remembering(user, SQLiteSession(call_id, "calls.db"))
    for words in heard:
        voice = ScriptedTTSModel([[pcm16_samples([0] * 2400)]])
        pipeline = VoicePipeline(
            workflow=workflow,
            stt_model=ScriptedSTTModel([words]),
            tts_model=voice,
            config=VoicePipelineConfig(tracing_disabled=True),
        )
        spoken = await pipeline.run(AudioInput(buffer=np.zeros(2400, dtype=np.int16)))
        async for _ in spoken.stream():
            pass  # play it
        print(f"[{call_id}] heard: {words}\n[{call_id}] said:  {voice.calls[0].text}\n")
    workflow.session.close()


async def main() -> None:
    async with SemanticMemory.open("memory") as memory:
        ada = memory.user("ada")
        await call(ada, "monday", "My doctor's appointment is on the third of May.")
        await call(ada, "friday", "When is my doctor's appointment?", "What is the capital of France?")


if __name__ == "__main__":
    set_tracing_disabled(True)
    asyncio.run(main())
