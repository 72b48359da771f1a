// Makes one piece of a page like another, and leaves alone what is the same: focus, selection and what was opened stay.

/** `from` becomes like `to`; both are elements of the same name. What was decided a moment ago stays: see undo.js. */
export function morph(from, to) {
  attributes(from, to);
  const keyed = new Map([...from.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let at = undecided(from.firstChild);
  for (const wanted of [...to.childNodes]) {
    const found = keyOf(wanted) ? keyed.get(keyOf(wanted)) : unkeyed(at, wanted);
    if (found && isDecided(found)) {
      continue;
    }
    if (found && found.nodeName === wanted.nodeName) {
      if (found === at) {
        at = undecided(at.nextSibling);
      } else {
        from.insertBefore(found, at);
      }
      update(found, wanted);
    } else {
      from.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = undecided(at.nextSibling);
    at.remove();
    at = next;
  }
}

/** This node, or the next one about which nothing was decided. */
function undecided(node) {
  while (node && isDecided(node)) {
    node = node.nextSibling;
  }
  return node;
}

function isDecided(node) {
  return node.nodeType === Node.ELEMENT_NODE && "decided" in node.dataset;
}

/** The node at this place, when it can become the wanted one. */
function unkeyed(at, wanted) {
  return at && !keyOf(at) && at.nodeName === wanted.nodeName ? at : null;
}

function update(from, to) {
  if (from.nodeType === Node.ELEMENT_NODE) {
    morph(from, to);
  } else if (from.nodeValue !== to.nodeValue) {
    from.nodeValue = to.nodeValue;
  }
}

function attributes(from, to) {
  for (const { name, value } of [...to.attributes]) {
    if (from.getAttribute(name) !== value) {
      from.setAttribute(name, value);
    }
  }
  for (const { name } of [...from.attributes]) {
    // What the reader has opened, and a call in flight, are not the server's to say.
    if (!to.hasAttribute(name) && name !== "open" && name !== "data-busy") {
      from.removeAttribute(name);
    }
  }
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}
