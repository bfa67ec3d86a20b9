// Reads a status page as readers of Statuspage do: node read_status.mjs URL. Prints all that the client returns as JSON.
import { createRequire } from 'node:module'

const { Statuspage } = createRequire(import.meta.url)('statuspage.io')
const page = new Statuspage('petrel')
page.setApiUrl(process.argv[2])
const { api } = page
process.stdout.write(JSON.stringify({
  summary: await api.getSummary(),
  status: await api.getStatus(),
  components: await api.getComponents(),
  incidents: await api.incidents.getAll(),
  unresolved: await api.incidents.getUnresolved(),
  upcoming: await api.scheduledMaintenances.getUpcoming(),
}))
