// Reads a feed as feed readers built on rss-parser do: node read_feed.mjs URL. Prints what it found as JSON.
import Parser from 'rss-parser'

const parser = new Parser({ customFields: { item: [['thr:in-reply-to', 'inReplyTo'], ['category', 'categories', { keepArray: true }]] } })
process.stdout.write(JSON.stringify(await parser.parseURL(process.argv[2])))
