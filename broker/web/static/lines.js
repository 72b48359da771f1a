// Lines of a file or a text, by the rules of docs/clients.md, which `broker submit` follows as well.

const NAMED = 20; // bad lines that are named; the others are counted
const MARK = [0xef, 0xbb, 0xbf]; // a byte order mark
const BLANK = /^[\t\n\v\f\r ]*$/;

/** Yields [line, its number, bytes read], without blank lines. Calls `bad(number, error)` for a line that is no text. */
export async function* lines(source, bad) {
  // A byte order mark that is not at the beginning of the file belongs to a recipe.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let number = 0;
  for await (const [bytes, read] of split(source)) {
    number += 1;
    let text;
    try {
      text = textOf(decoder, number === 1 ? withoutMark(bytes) : bytes);
    } catch (error) {
      bad(number, error);
      continue;
    }
    if (!BLANK.test(text)) {
      yield [text.replace(/^[\r\n]+|[\r\n]+$/g, ""), number, read];
    }
  }
}

/** Collects bad lines, so that one error names all of them. */
export function badLines() {
  const said = [];
  let count = 0;
  return {
    add(number, error) {
      count += 1;
      if (count <= NAMED) {
        said.push(`Line ${number}: ${error.message}`);
      }
    },
    /** Throws an error if a line was bad. */
    none() {
      if (count) {
        const more = count > NAMED ? [`and ${(count - NAMED).toLocaleString("en")} more`] : [];
        throw new Error([...said, ...more, "Nothing was submitted"].join("\n"));
      }
    },
  };
}

/** Yields [bytes of a line, bytes read so far]. */
async function* split(source) {
  const reader = source.stream().getReader();
  let rest = new Uint8Array();
  let read = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      if (rest.length) {
        yield [rest, read];
      }
      return;
    }
    read += value.length;
    let from = 0;
    for (let end = value.indexOf(10); end >= 0; end = value.indexOf(10, from)) {
      const line = value.subarray(from, end);
      yield [rest.length ? joined(rest, line) : line, read];
      rest = new Uint8Array();
      from = end + 1;
    }
    rest = joined(rest, value.subarray(from));
  }
}

function joined(one, other) {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

function withoutMark(bytes) {
  return MARK.every((byte, place) => bytes[place] === byte) ? bytes.subarray(MARK.length) : bytes;
}

function textOf(decoder, bytes) {
  if (bytes.includes(0)) {
    throw new Error("a zero byte: the file is UTF-16 or no text, and must be UTF-8");
  }
  try {
    return decoder.decode(bytes);
  } catch {
    throw new Error("not UTF-8: the file must be UTF-8");
  }
}
