import { createHash } from 'node:crypto'
import { accessSync, constants, createReadStream, existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import * as core from '@actions/core'
import * as tools from '@actions/tool-cache'
import { Fault } from './fault.ts'
import type { ProgramInputs } from './inputs.ts'

/** The release that this version of the action goes with. */
export const OWN_VERSION = '0.1.0'

/** The names that releases give to machines. */
const TARGETS: Record<string, string> = {
  'linux x64': 'x86_64-unknown-linux-gnu',
  'linux arm64': 'aarch64-unknown-linux-gnu'
}

/** Finds `name`: the input program, else one on the PATH (unless a version is asked for), else the release, checked. */
export async function findProgram(name: string, inputs: ProgramInputs): Promise<string> {
  if (inputs.program !== undefined) {
    const path = resolve(inputs.program)
    if (!isProgram(path)) throw new Fault(`the input program names ${path}, which is no program that can be run`)
    return path
  }
  if (inputs.version === undefined) {
    const found = onPath(name)
    if (found !== undefined) return found
  }
  return await downloadProgram(name, inputs)
}

function onPath(name: string): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '')
  return folders.map((folder) => join(folder, name)).find(isProgram)
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

async function downloadProgram(name: string, inputs: ProgramInputs): Promise<string> {
  const version = inputs.version ?? OWN_VERSION
  const machine = `${process.platform} ${process.arch}`
  const target = TARGETS[machine]
  if (target === undefined) {
    throw new Fault(`releases have no ${name} for ${machine}: build it in the workflow (cargo install --locked) and name it by the input program`)
  }
  const cached = tools.find(name, version, target)
  const archive = `${name}-${version}-${target}`
  if (cached !== '') return join(cached, name)
  const url = `${releaseAddress(version, inputs.downloadUrl)}/${archive}.tar.gz`
  core.info(`downloading ${url}`)
  const [file, sums] = await Promise.all([download(url), download(`${url}.sha256`)])
  const wanted = (await readFile(sums, 'utf8')).split(/\s/)[0] ?? ''
  const found = await sha256(file)
  if (wanted !== found) {
    throw new Fault(`${url} has the SHA-256 ${found}, but ${wanted || 'nothing'} is what the release says: it was damaged or changed on the way`)
  }
  const folder = await tools.extractTar(file)
  const kept = await tools.cacheDir(join(folder, archive), name, version, target)
  const program = join(kept, name)
  if (!existsSync(program)) throw new Fault(`${url} holds no ${archive}/${name}`)
  return program
}

/** Where the archives of a release are: beside this action's own, unless told otherwise. */
function releaseAddress(version: string, given: string | undefined): string {
  if (given !== undefined) return given
  const repository = process.env['GITHUB_ACTION_REPOSITORY']
  if (!repository) {
    throw new Fault('it is not known where releases are, since this action was not fetched by its name: give the input download-url, or program')
  }
  const server = process.env['GITHUB_SERVER_URL'] || 'https://github.com'
  return `${server}/${repository}/releases/download/v${version}`
}

async function download(url: string): Promise<string> {
  try {
    return await tools.downloadTool(url)
  } catch (error) {
    throw new Fault(`${url} cannot be fetched: ${error instanceof Error ? error.message : String(error)}`)
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
