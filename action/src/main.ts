import * as core from '@actions/core'
import { runComment } from './comment.ts'
import { readEvent } from './event.ts'
import { Fault } from './fault.ts'
import { runGate } from './gate.ts'
import { readInputs } from './inputs.ts'
import { runPush } from './push.ts'
import { runSnippex } from './snippex.ts'

async function main(): Promise<void> {
  const inputs = readInputs(core.getInput)
  const event = readEvent(process.env)
  switch (inputs.mode) {
    case 'gate':
      return await runGate(inputs, event)
    case 'push':
      return await runPush(inputs, event)
    case 'snippex':
      return await runSnippex(inputs)
    case 'comment':
      return await runComment(inputs, event)
  }
}

main().catch((error: unknown) => {
  // What a user can mend is said in a sentence; anything else is a defect, and its stack helps to find it.
  core.setFailed(error instanceof Fault ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error))
})
