import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import * as core from '@actions/core'
import { exec, getExecOutput } from '@actions/exec'
import { keepFiles } from './artifact.ts'
import { endStep } from './ending.ts'
import type { WorkflowEvent } from './event.ts'
import { Fault } from './fault.ts'
import type { GateInputs, Inputs } from './inputs.ts'
import { findProgram } from './program.ts'

/** Where benchgate keeps its work, from the working directory. */
const STATE = 'target/benchgate'

/** The arguments of benchgate: two commits where there is a base, else the baseline or the history. */
export function gateArguments(inputs: GateInputs, event: WorkflowEvent): string[] {
  const base = inputs.base ?? event.baseCommit
  const head = inputs.head ?? event.headCommit
  const compares = base !== undefined
  for (const name of ['head', 'build', 'budget'] as const) {
    if (!compares && inputs[name] !== undefined) {
      throw new Fault(`the input ${name} is for comparing two commits, and there is no base here: give the input base`)
    }
  }
  const options: [string, string | undefined][] = [
    ['--base', base],
    ['--head', compares ? head : undefined],
    ['--build', inputs.build],
    ['--budget', inputs.budget],
    ['--runs', inputs.runs?.toString()],
    ['--threshold', inputs.threshold]
  ]
  const given = options.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
  const command = inputs.command.length === 0 ? [] : ['--', ...inputs.command]
  return [compares ? 'ab' : 'check', '--state', STATE, '--format', 'github', ...given, ...command]
}

/** Compares on this machine, and ends as benchgate does. */
export async function runGate(inputs: GateInputs & Inputs, event: WorkflowEvent): Promise<void> {
  const args = gateArguments(inputs, event)
  const program = await findProgram('benchgate', inputs)
  const cwd = resolve(inputs.workingDirectory)
  if (args[0] === 'ab') await requireHistory(cwd)
  const report = join(cwd, STATE, 'report.json')
  const code = await exec(program, args, { cwd, ignoreReturnCode: true })
  const slower = existsSync(report) ? await publishReport(program, report, inputs, cwd) : 0
  endStep(code, `${slower} ${slower === 1 ? 'benchmark is' : 'benchmarks are'} slower`, inputs)
}

/** A checkout of one commit has no base to compare with; git's own words for that help nobody. */
async function requireHistory(cwd: string): Promise<void> {
  const asked = await getExecOutput('git', ['rev-parse', '--is-shallow-repository'], { cwd, silent: true, ignoreReturnCode: true })
  if (asked.exitCode !== 0) throw new Fault(`${cwd} is no git repository: actions/checkout comes before this step`)
  if (asked.stdout.trim() === 'true') {
    throw new Fault('the checkout has one commit only, and two are compared: give actions/checkout `with: { fetch-depth: 0 }`')
  }
}

async function publishReport(program: string, report: string, inputs: GateInputs, cwd: string): Promise<number> {
  const found = JSON.parse(await readFile(report, 'utf8')) as { outcome: string; rows: { verdict: string }[] }
  const slower = found.rows.filter((row) => row.verdict === 'regression').length
  core.setOutput('report', report)
  core.setOutput('outcome', found.outcome)
  core.setOutput('regressions', String(slower))
  if (inputs.artifact !== undefined) {
    const page = join(dirname(report), 'report.html')
    await exec(program, ['report', report, '--format', 'html', '--output', page], { cwd })
    await keepFiles(inputs.artifact, [report, page], dirname(report))
  }
  return slower
}
