import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { exec } from '@actions/exec'
import { endStep } from './ending.ts'
import type { WorkflowEvent } from './event.ts'
import { Fault } from './fault.ts'
import type { CommentInputs, Inputs } from './inputs.ts'
import { findProgram } from './program.ts'

/** Puts a report that another workflow made into the one comment of its pull request. Nothing of the report is run. */
export async function runComment(inputs: CommentInputs & Inputs, event: WorkflowEvent): Promise<void> {
  const cwd = resolve(inputs.workingDirectory)
  const report = resolve(cwd, inputs.report)
  if (!existsSync(report)) {
    throw new Fault(`the report ${report} is not there: actions/download-artifact with the run-id of the workflow that measured comes before this step`)
  }
  if (inputs.githubToken === undefined) throw new Fault('the input github-token is empty, and a comment needs one')
  const target = inputs.pullRequest === undefined ? ['--commit', event.headCommit ?? event.commit] : ['--pr', String(inputs.pullRequest)]
  const program = await findProgram('benchgate', inputs)
  const env = { ...(process.env as Record<string, string>), GITHUB_TOKEN: inputs.githubToken }
  const code = await exec(program, ['comment', report, ...target], { cwd, env, ignoreReturnCode: true })
  endStep(code, 'the comment was not made', inputs)
}
