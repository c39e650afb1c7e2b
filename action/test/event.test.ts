import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readEvent } from '../src/event.ts'
import { temporary } from './tools.ts'

const base = { GITHUB_REPOSITORY: 'octo/hello', GITHUB_RUN_ID: '5', GITHUB_SHA: 'c'.repeat(40) }
function of(name: string, payload: object, more: Record<string, string> = {}) {
  const path = join(temporary(), 'event.json')
  writeFileSync(path, JSON.stringify(payload))
  return readEvent({ ...base, GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: path, ...more })
}
const pull = (repository: string | null) => ({
  pull_request: {
    number: 7,
    head: { sha: 'a'.repeat(40), ref: 'topic', repo: repository === null ? null : { full_name: repository } },
    base: { sha: 'b'.repeat(40), ref: 'main' }
  }
})

describe('what the workflow runs for', () => {
  it('is the head of a pull request', () => {
    expect(of('pull_request', pull('octo/hello'))).toMatchObject({
      branch: 'topic', headCommit: 'a'.repeat(40), commit: 'c'.repeat(40), pullRequest: 7, targetBranch: 'main', fromFork: false
    })
  })

  it('is a fork, also one that is gone', () => {
    expect(of('pull_request', pull('eve/hello')).fromFork).toBe(true)
    expect(of('pull_request', pull(null)).fromFork).toBe(true)
  })

  it('is the commit that the followed workflow measured', () => {
    const followed = { workflow_run: { head_sha: 'd'.repeat(40), head_branch: 'topic', event: 'pull_request' } }
    expect(of('workflow_run', followed, { GITHUB_REF: 'refs/heads/main' })).toMatchObject({ commit: 'd'.repeat(40), branch: 'topic' })
  })

  it('is a branch; of a tag there is none', () => {
    expect(of('push', {}, { GITHUB_REF: 'refs/heads/a/b' }).branch).toBe('a/b')
    expect(of('push', {}, { GITHUB_REF: 'refs/tags/v1' }).branch).toBeUndefined()
  })

  it('is unknown outside of a workflow', () => {
    expect(() => readEvent({})).toThrow('this action runs in GitHub Actions')
    expect(() => readEvent({ ...base, GITHUB_EVENT_NAME: 'push', GITHUB_EVENT_PATH: '/nowhere' })).toThrow('cannot be read from /nowhere')
  })
})
