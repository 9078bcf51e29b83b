// Where the events of files are told: a path as a topic, whose levels cannot be wildcards.

/** `files/<path>`, with what would be a wildcard written as an escape. */
export function topicOf(path: string): string {
  return `files/${path.replace(/[+#%]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)}`;
}
