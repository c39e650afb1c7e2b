import { DefaultArtifactClient } from '@actions/artifact'
import * as core from '@actions/core'

/** Keeps files of this workflow as an artifact. Whether that worked: what is kept is a help, not the job. */
export async function keepFiles(name: string, files: string[], folder: string): Promise<boolean> {
  // Outside of a runner there is no service to keep them; the client would only fail late.
  if (!process.env['ACTIONS_RUNTIME_TOKEN'] || !process.env['ACTIONS_RESULTS_URL']) {
    core.warning(`there is no service for artifacts here; the files are only in ${folder}`)
    return false
  }
  try {
    await new DefaultArtifactClient().uploadArtifact(name, files, folder)
    core.setOutput('artifact', name)
    return true
  } catch (error) {
    core.warning(`the artifact ${name} cannot be kept: ${error instanceof Error ? error.message : String(error)}`)
    return false
  }
}
