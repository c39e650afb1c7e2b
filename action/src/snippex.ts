import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as core from '@actions/core'
import { exec } from '@actions/exec'
import { keepFiles } from './artifact.ts'
import { EXIT, endStep } from './ending.ts'
import { Fault } from './fault.ts'
import type { Inputs, SnippexInputs } from './inputs.ts'
import { findProgram } from './program.ts'

const JUNIT = 'snippex-regression.xml'

/** The arguments of snippex. */
export function snippexArguments(inputs: SnippexInputs): string[] {
  const files = inputs.files.map((file) => (file.startsWith('-') ? `./${file}` : file))
  return [
    'regression', 'test', ...files,
    '--emulator', inputs.engine,
    '--baseline', inputs.baseline,
    '--junit', JUNIT,
    '--annotations',
    ...inputs.arguments
  ]
}

/** Checks programs on an engine and compares with the baseline. */
export async function runSnippex(inputs: SnippexInputs & Inputs): Promise<void> {
  const cwd = resolve(inputs.workingDirectory)
  const baseline = resolve(cwd, inputs.baseline)
  if (!existsSync(baseline)) {
    throw new Fault(`the baseline ${baseline} is not there: make it with \`snippex regression record ${inputs.files.join(' ')} -e ${inputs.engine}\` and commit it`)
  }
  const program = await findProgram('snippex', inputs)
  const code = await exec(program, snippexArguments(inputs), { cwd, ignoreReturnCode: true })
  const report = resolve(cwd, JUNIT)
  core.setOutput('outcome', outcomeOf(code))
  if (existsSync(report)) {
    core.setOutput('report', report)
    if (inputs.artifact !== undefined) await keepFiles(inputs.artifact, [report], dirname(report))
  }
  await core.summary
    .addHeading(`snippex: ${inputs.engine}`, 3)
    .addRaw(outcomeOf(code) === 'unchanged' ? 'All blocks do what the baseline says.' : 'Not all blocks do what the baseline says; the annotations name them.', true)
    .write()
  endStep(code, `blocks are not as ${inputs.baseline} says`, inputs)
}

function outcomeOf(code: number): string {
  if (code === EXIT.fine) return 'unchanged'
  return code === EXIT.found ? 'regression' : 'not-judged'
}
