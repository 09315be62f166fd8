// Why a handler gave up. It becomes the reason of the roll back, which an operator reads.

/** A failure that the service's author has thought of: nobody has to look for it in the code. */
export class Failure extends Error {
  constructor(reason) {
    super(reason);
    this.name = "Failure";
  }
}

/** What an operator reads of something that was thrown. */
export function reasonOf(thrown) {
  if (!(thrown instanceof Error)) {
    return String(thrown);
  }
  const { name, message } = thrown;
  const isPlain = name === "Error" || thrown instanceof Failure;
  return isPlain ? message || "no text" : `${name}: ${message}`;
}

/** Where it was thrown: the first line of its stack. */
export function placeOf(thrown) {
  const stack = thrown instanceof Error ? thrown.stack : undefined;
  return stack?.trim().split("\n")[0].trim() ?? "";
}
