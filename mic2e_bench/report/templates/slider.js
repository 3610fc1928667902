// The widget of notebook/slider.py: baseline, picture, difference, and a range input. Every value is set as a text or an
// attribute, never as markup. Nothing comes from the network.
function make(tag, parent, className) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function frame(parent) {
  const figure = make("figure", parent);
  const link = make("a", figure);
  const image = make("img", link);
  const words = make("figcaption", figure);
  return { figure, link, image, words };
}

// JupyterLab serves files of its root folder under files/; elsewhere there is no link
function served(path) {
  const config = document.getElementById("jupyter-config-data");
  if (!path || !config) return null;
  try {
    return JSON.parse(config.textContent).baseUrl + "files/" + path;
  } catch {
    return null;
  }
}

function put(place, name, one, address) {
  place.image.hidden = !address;
  if (address) place.image.src = address;
  place.image.alt = `${name}: ${one.label}`;
  const target = served(one.full);
  if (target) {
    place.link.href = target;
    place.link.target = "_blank";
    place.link.rel = "noopener";
    place.link.title = "full size";
  } else {
    place.link.removeAttribute("href");
  }
}

function render({ model, el }) {
  const whole = make("section", el, "mic2e-slider");
  whole.setAttribute("aria-label", "pictures beside the baseline's");
  const row = make("div", whole, "row");
  const [before, after, apart] = [frame(row), frame(row), frame(row)];
  const label = make("label", whole);
  const said = make("span", label);
  const range = make("input", label);
  range.type = "range";
  range.min = 0;
  range.step = 1;
  const caption = make("p", whole, "caption");

  function show() {
    const pictures = model.get("pictures"), baseline = model.get("baseline");
    range.max = Math.max(0, pictures.length - 1);
    const index = Math.min(model.get("index"), range.max);
    range.value = index;
    caption.textContent = model.get("caption");
    const one = pictures[index];
    if (!one) return;
    range.setAttribute("aria-valuetext", one.label);
    said.textContent = `${one.label} (${index + 1} of ${pictures.length})`;
    put(before, "baseline", baseline, baseline.image);
    before.words.textContent = `${baseline.label}: ${baseline.note}`;
    put(after, "picture", one, one.image);
    after.words.textContent = `${one.label}: ${one.note}`;
    put(apart, "difference to the baseline", { label: one.label }, one.difference);
    apart.words.textContent = one.difference ? "difference to the baseline" : "identical to the baseline";
  }

  range.addEventListener("keydown", (event) => event.stopPropagation()); // arrow keys are not the notebook's here
  range.addEventListener("input", () => {
    model.set("index", Number(range.value));
    model.save_changes();
    show();
  });
  for (const name of ["index", "pictures", "baseline", "caption"]) model.on(`change:${name}`, show);
  show();
}

export default { render };
