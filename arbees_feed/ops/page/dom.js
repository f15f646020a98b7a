// The document. What venues wrote (titles, reasons) is set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Nothing is touched that is so already: what does not change costs no layout, and is not read
// out again.
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function tone(element, value) {
  if (element.dataset.tone !== value) element.dataset.tone = value;
}

// Rows of a table, as many as wanted; the first cell of each is its head, if *head*.
export function rows(body, count, width, head = true) {
  while (body.rows.length > count) body.deleteRow(-1);
  while (body.rows.length < count) {
    const row = body.insertRow();
    for (let cell = 0; cell < width; cell += 1) {
      const isHead = head && cell === 0;
      row.append(make(isHead ? "th" : "td", isHead ? { scope: "row" } : { className: "number" }));
    }
  }
  return [...body.rows];
}
