// Makes one element of a page equal to another, and changes only what differs: focus, selection and opened details stay.

/** Makes `from` equal to `to`; both are elements of the same name. Rows whose decision can be undone stay: see undo.js. */
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

/** This node, or the next one without a decision. */
function undecided(node) {
  while (node && isDecided(node)) {
    node = node.nextSibling;
  }
  return node;
}

function isDecided(node) {
  return node.nodeType === Node.ELEMENT_NODE && "decided" in node.dataset;
}

/** The node at this place, if it can become the wanted one, or null. */
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
    // The server does not know what the reader has opened, nor which calls are in progress.
    if (!to.hasAttribute(name) && name !== "open" && name !== "data-busy") {
      from.removeAttribute(name);
    }
  }
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.dataset.key : undefined;
}
