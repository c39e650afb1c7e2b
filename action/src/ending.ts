import * as core from '@actions/core'

/** What the programs of this repository mean by their exit code. */
export const EXIT = { fine: 0, found: 1, failed: 2, interrupted: 130 } as const

interface Leniency {
  failOnRegression: boolean
  failOnError: boolean
}

/** Ends the step as an exit code and the inputs demand. */
export function endStep(code: number, found: string, inputs: Leniency): void {
  core.setOutput('exit-code', String(code))
  if (code === EXIT.fine) return
  if (code === EXIT.found) {
    tell(inputs.failOnRegression, found)
  } else {
    tell(inputs.failOnError, `the job could not be done (exit code ${code}); the log above says why`)
  }
}

/** An error that fails the step, or a warning. */
export function tell(fails: boolean, message: string): void {
  if (fails) core.setFailed(message)
  else core.warning(message)
}
