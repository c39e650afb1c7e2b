import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readInputs, type PushInputs } from '../src/inputs.ts'
import { describeUpload, measure, readKept } from '../src/payload.ts'
import { event, temporary } from './tools.ts'

const inputs = (given: Record<string, string>) =>
  readInputs((name) => ({ mode: 'push', service: 'https://b.example', ...given })[name] ?? '') as PushInputs

describe('an upload', () => {
  it('has the files of all patterns once, in their order', async () => {
    const folder = temporary()
    mkdirSync(join(folder, 'out'))
    for (const name of ['b.txt', 'a.txt', 'c.md']) writeFileSync(join(folder, 'out', name), name)
    const measured = await measure(inputs({ results: 'out/*.txt\nout/a.txt', environment: 'ci', component: 'core', tool: 'go' }), folder)
    expect(measured).toEqual({
      results: [{ path: 'out/a.txt', text: 'a.txt' }, { path: 'out/b.txt', text: 'b.txt' }],
      environment: { name: 'ci' }, component: 'core', tool: 'go'
    })
    await expect(measure(inputs({ results: 'out/*.json' }), folder)).rejects.toThrow('names out/*.json, and no file')
  })

  it('has the same id for each attempt to send it, and another one for each attempt to measure', () => {
    const measured = { results: [{ path: 'a', text: '1' }] }
    const id = (run: object, what = measured) => describeUpload(what, inputs({ results: 'a' }), event(run), {}).run_id
    expect(id({})).toBe(id({}))
    expect(id({ runAttempt: '2' })).not.toBe(id({}))
    expect(id({}, { results: [{ path: 'a', text: '2' }] })).not.toBe(id({}))
    expect(id({})).toMatch(/^11-1-[0-9a-f]{16}$/)
  })

  it('of a pull request names merge and head; one that follows asks for no other run', () => {
    const pull = event({ name: 'pull_request', pullRequest: 7, headCommit: 'a'.repeat(40), targetBranch: 'main' })
    const measured = { results: [{ path: 'a', text: '1' }] }
    expect(describeUpload(measured, inputs({ results: 'a', 'run-id': 'x' }), pull, { commitTime: '2026-11-28T12:00:00Z' })).toEqual({
      results: measured.results, repository: 'octo/hello', branch: 'main', commit: 'c'.repeat(40), head_commit: 'a'.repeat(40),
      pull_request: 7, target_branch: 'main', run_id: 'x', workflow_run: 11, commit_time: '2026-11-28T12:00:00Z'
    })
    const followed = describeUpload(measured, inputs({ results: 'a' }), event({ name: 'workflow_run' }), { pullRequest: 9 })
    expect(followed.workflow_run).toBeUndefined()
    expect(followed.pull_request).toBe(9)
    expect(() => describeUpload(measured, inputs({ results: 'a' }), event({ branch: undefined }), {})).toThrow('no branch')
  })

  it('that a fork kept is believed in nothing but what was measured', async () => {
    const path = join(temporary(), 'upload.json')
    const kept = { repository: 'octo/other', branch: 'main', pull_request: 1, run_id: 'x', results: [{ path: 'a', text: '1', evil: 1 }], environment: { name: 'ci', os: 'x' }, component: 'core' }
    writeFileSync(path, JSON.stringify(kept))
    expect(await readKept(path)).toEqual({ results: [{ path: 'a', text: '1' }], environment: { name: 'ci' }, component: 'core' })
    for (const broken of ['', '[]', '{}', '{"results":[]}', '{"results":[{"path":1,"text":""}]}', '{"results":[null]}']) {
      writeFileSync(path, broken)
      await expect(readKept(path)).rejects.toThrow('upload')
    }
  })
})
