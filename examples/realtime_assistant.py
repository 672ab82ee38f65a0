"""A realtime assistant: what the user says changes what the model knows, while the line is open.

    python examples/realtime_assistant.py

A realtime session computes its instructions when it opens, before anything was said. So the model waits
(`create_response` is off), and each transcribed sentence goes into the context's `turn_input`, where
`ada.instructions(...)` looks for the question; `update_agent` computes the instructions anew, and then the model may
answer. The transport is scripted here; a `RealtimeRunner` without a model of its own uses OpenAI's.
"""

import asyncio

from agents import SQLiteSession, set_tracing_disabled
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelInputAudioTranscriptionCompletedEvent,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeRunner,
    RealtimeSession,
)
from agents.realtime.testing import ScriptedRealtimeModel

from semantic_memory import SemanticMemory, UserMemory

ANSWER = RealtimeModelSendRawMessage(message={"type": "response.create"})
LISTEN_FIRST = {"model_settings": {"turn_detection": {"type": "semantic_vad", "create_response": False}}}


async def talk(line: RealtimeSession, agent: RealtimeAgent, transcript: SQLiteSession, sentences: int) -> None:
    """Follow a call for so many sentences of the user."""
    async for event in line:
        if event.type != "raw_model_event" or event.data.type != "input_audio_transcription_completed":
            continue
        said = {"role": "user", "content": event.data.transcript}
        event.info.context.turn_input = [said]
        await line.update_agent(agent)
        await line.model.send_event(ANSWER)
        await transcript.add_items([said])
        if (sentences := sentences - 1) == 0:
            return


async def call(user: UserMemory, call_id: str, *heard: str) -> None:
    """A call in which these sentences are heard."""
    agent = RealtimeAgent(name="Voice", instructions=user.instructions("One short sentence."))
    events = [
        RealtimeModelInputAudioTranscriptionCompletedEvent(item_id=str(n), transcript=words)
        for n, words in enumerate(heard)
    ]
    model = ScriptedRealtimeModel(strict=False)
    transcript = SQLiteSession(call_id, "calls.db")
    async with await RealtimeRunner(agent, model=model, config=LISTEN_FIRST).run() as line:
        await model.emit(*events)
        await talk(line, agent, transcript, len(heard))
    await user.learn(transcript)
    transcript.close()
    updates = [sent for sent in model.sent_events if isinstance(sent, RealtimeModelSendSessionUpdate)]
    for words, update in zip(heard, updates, strict=True):
        print(f"[{call_id}] heard: {words}\n{update.session_settings['instructions']}\n")


async def main() -> None:
    async with SemanticMemory.open("memory") as memory:
        ada = memory.user("ada")
        await call(ada, "monday", "My doctor's appointment is on the third of May.")
        await call(ada, "friday", "When is my doctor's appointment?", "What is the capital of France?")


if __name__ == "__main__":
    set_tracing_disabled(True)
    asyncio.run(main())
