import * as core from '@actions/core'
import type { StoredRun, Verdict } from './service.ts'

/** Rows of the table at most; the page has all of them. */
const MOST_ROWS = 50
const ORDER = ['regression', 'suspected', 'improvement', 'environment-changed', 'not-enough-data', 'unchanged']

/** The lines of the job summary's table: what changed comes first. */
export function summaryRows(results: Verdict[]): string[][] {
  const rank = (one: Verdict): number => (ORDER.indexOf(one.verdict) + ORDER.length) % ORDER.length
  const sorted = [...results].sort((a, b) => rank(a) - rank(b) || Math.abs(b.percent_change ?? 0) - Math.abs(a.percent_change ?? 0))
  return sorted.slice(0, MOST_ROWS).map((one) => [
    escape(one.measure === 'time' ? one.benchmark : `${one.benchmark} [${one.measure}]`),
    figure(one.baseline_value, one.unit),
    figure(one.current_value, one.unit),
    one.percent_change === null ? '' : `${one.percent_change > 0 ? '+' : ''}${one.percent_change.toFixed(1)} %`,
    escape(one.verdict)
  ])
}

/** Writes the verdicts into the job's summary. */
export async function writeSummary(judged: StoredRun, page: string): Promise<void> {
  const rows = summaryRows(judged.results)
  const header = ['benchmark', 'before', 'now', 'change', 'verdict'].map((data) => ({ data, header: true }))
  core.summary.addHeading(`Benchmarks: ${escape(judged.outcome ?? 'not-judged')}`, 3).addTable([header, ...rows])
  if (judged.results.length > rows.length) core.summary.addRaw(`${judged.results.length - rows.length} more are on the page.`, true)
  await core.summary.addLink('The run and its history', page).write()
}

function figure(value: number | null, unit: string): string {
  return value === null ? '' : `${Number(value.toPrecision(4))} ${escape(unit)}`
}

/** Names of benchmarks are the text of strangers. An invisible space keeps `@name` from calling anybody. */
function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('@', '@\u200b')
}
