import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { OWN_VERSION } from '../src/program.ts'

it('the action has the version of the programs that it downloads', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8')
  expect((JSON.parse(read('../package.json')) as { version: string }).version).toBe(OWN_VERSION)
  // The workspace is not beside a copy of the action alone; the step sets where it is.
  const workspace = process.env['WORKSPACE']
  if (workspace === undefined) throw new Error('WORKSPACE is the folder of the repository; cargo xtask test --only action sets it')
  expect(readFileSync(`${workspace}/Cargo.toml`, 'utf8')).toContain(`\n[workspace.package]\nversion = "${OWN_VERSION}"\n`)
})
