// The pages need no script. This adds what makes them quicker to use: a button
// for light or dark, search, definitions beside the words, copies of chunks.
(function () {
	"use strict";
	const root = document.documentElement;

	function make(tag, properties, ...children) {
		const element = Object.assign(document.createElement(tag), properties);
		element.append(...children);
		return element;
	}

	// Scripts, since a page of a folder may not fetch its neighbours.
	const loading = {};
	function load(file) {
		loading[file] ??= new Promise((done, failed) => {
			document.head.append(make("script", { src: file, onload: done, onerror: () => {
				delete loading[file];
				failed(new Error(file + " is missing"));
			} }));
		});
		return loading[file];
	}

	// ---------------------------------------------------------- light or dark

	// What was stored is in place before the first paint: see page.html.
	function store(theme) {
		try { localStorage.setItem("theme", theme); } catch (e) { /* private mode */ }
	}
	const dark = matchMedia("(prefers-color-scheme: dark)");
	const themeButton = make("button", { type: "button", className: "theme" });
	function theme() {
		return root.dataset.theme || (dark.matches ? "dark" : "light");
	}
	function label() {
		themeButton.textContent = theme() === "dark" ? "Light page" : "Dark page";
	}
	themeButton.addEventListener("click", () => {
		root.dataset.theme = theme() === "dark" ? "light" : "dark";
		store(root.dataset.theme);
		label();
	});
	dark.addEventListener("change", label);

	// ---------------------------------------------------------- copy a chunk

	// As the chapter has it: references stand as <<name>>.
	function copyText(figure) {
		const code = figure.querySelector("pre").cloneNode(true);
		for (const ref of code.querySelectorAll(".ref")) {
			ref.querySelector("small")?.remove();
			ref.textContent = "<<" + ref.textContent.replace(/^⟨\s*|\s*⟩$/g, "") + ">>";
		}
		return code.textContent;
	}
	async function copy(button, figure) {
		const text = copyText(figure);
		try {
			await navigator.clipboard.writeText(text);
		} catch (e) {           // not allowed here: the old way
			const area = make("textarea", { value: text });
			document.body.append(area);
			area.select();
			document.execCommand("copy");
			area.remove();
			button.focus();
		}
		button.textContent = "Copied";
		setTimeout(() => { button.textContent = "Copy"; }, 1500);
	}
	function addCopyButtons() {
		for (const figure of document.querySelectorAll("figure.chunk")) {
			const name = figure.querySelector("figcaption b a").textContent;
			const button = make("button", { type: "button", className: "copy" }, "Copy");
			button.setAttribute("aria-label", "Copy " + name);
			button.addEventListener("click", () => copy(button, figure));
			figure.querySelector("figcaption").append(button);
		}
	}

	// ---------------------------------------------------------- definitions

	const definitions = {};
	window.bookDefs = (topic, entries) => { definitions[topic] = entries; };

	const tip = make("div", { id: "definition", className: "tip", hidden: true });
	tip.setAttribute("role", "tooltip");
	let tipOf = null, timer = 0;

	// Of a link to a definition: its page and its id.
	function target(link) {
		const url = new URL(link.href);
		const id = decodeURIComponent(url.hash.slice(1));
		if (!id.startsWith("d-") || link.closest(".tip, nav"))
			return null;
		return { topic: url.pathname.split("/").pop().replace(/\.html$/, ""), id };
	}
	function hide() {
		clearTimeout(timer);
		tip.hidden = true;
		tipOf?.removeAttribute("aria-describedby");
		tipOf = null;
	}
	function place(link) {
		const at = link.getBoundingClientRect(), gap = 4;
		const wide = root.clientWidth, high = root.clientHeight;
		tip.style.maxWidth = Math.min(720, wide - 16) + "px";
		tip.style.left = "0px";
		tip.style.top = "0px";
		const size = tip.getBoundingClientRect();
		const left = Math.max(8, Math.min(at.left, wide - size.width - 8));
		const below = at.bottom + gap + size.height <= high || at.top < size.height + gap;
		tip.style.left = left + scrollX + "px";
		tip.style.top = (below ? at.bottom + gap : at.top - gap - size.height) + scrollY + "px";
	}
	async function show(link) {
		const to = target(link);
		if (!to || link === tipOf)
			return;
		hide();
		tipOf = link;
		try {
			await load("defs/" + to.topic + ".js");
		} catch (e) {
			return;
		}
		const found = definitions[to.topic]?.[to.id];
		if (!found || tipOf !== link)
			return;
		const [where, code] = found;
		tip.innerHTML = `<p>${where}</p><pre class="code">${code}</pre>`;
		tip.hidden = false;
		place(link);
		link.setAttribute("aria-describedby", tip.id);
	}
	function later(action, delay) {
		clearTimeout(timer);
		timer = setTimeout(action, delay);
	}
	function addDefinitions() {
		document.body.append(tip);
		document.addEventListener("pointerover", (event) => {
			if (event.pointerType === "touch")
				return;
			const link = event.target.closest("a[href]");
			if (link && target(link))
				later(() => show(link), 200);
			else if (tip.contains(event.target))
				clearTimeout(timer);
			else if (tipOf && tipOf !== document.activeElement)
				later(hide, 250);
		});
		document.addEventListener("focusin", (event) => {
			const link = event.target.closest("a[href]");
			if (link && target(link) && link.matches(":focus-visible"))
				show(link);
			else if (!tip.contains(event.target))
				hide();
		});
		document.addEventListener("keydown", (event) => {
			if (event.key === "Escape")
				hide();
		});
		addEventListener("resize", hide);
	}

	// ---------------------------------------------------------- search

	let index = null, documents = null;
	window.bookSearch = (rows) => {
		documents = rows.map(([kind, title, where, url, text], id) => ({ id, kind, title, where, url, text }));
	};

	// A name like vmx_check_ept or 24.6.2 is a word; in the book its parts are, too.
	function words(text) {
		return text.toLowerCase().match(/[\p{L}\p{N}]+(?:[._-]+[\p{L}\p{N}]+)*/gu) ?? [];
	}
	function wordsAndParts(text) {
		return words(text).flatMap((word) =>
			/^[\d.]+$/.test(word) ? word : [...new Set([word, ...word.split(/[._-]+/)])]);
	}
	async function makeIndex() {
		await Promise.all([load("minisearch.js"), load("search-data.js")]);
		if (index)
			return;
		const made = new MiniSearch({ fields: ["title", "where", "text"], storeFields: ["kind"], tokenize: wordsAndParts,
			searchOptions: { tokenize: words, boost: { title: 6 }, prefix: (term) => term.length > 2, combineWith: "AND",
				fuzzy: (term) => term.length > 4 && !/[\d_.]/.test(term) ? 0.2 : 0,
				boostDocument: (id, term, { kind }) =>
					kind === "manual" && /^\w+(\.\d+)+$/.test(term) ? 20 : weight[kind] } });
		made.addAll(documents);
		index = made;
	}
	const weight = { section: 1.5, manual: 1.3, term: 1.3, name: 1.2, chunk: 1, file: 1 };
	const kinds = { section: "Text", manual: "Manual", term: "Term", name: "Name", chunk: "Chunk", file: "File" };

	const input = make("input", { type: "search", id: "query", autocomplete: "off", spellcheck: false,
		placeholder: "Words, names, sections of the manual" });
	const results = make("ol", { className: "results" });
	const status = make("p", { className: "status" });
	status.setAttribute("role", "status");
	const dialog = make("dialog", { className: "search" },
		make("form", { method: "dialog" },
			make("label", { htmlFor: "query" }, "Search the book"), input,
			make("button", { type: "submit", value: "close", className: "close" }, "Close")),
		status, results);
	dialog.setAttribute("aria-label", "Search");

	// Where a word of the text is or begins with one of the terms.
	function pattern(terms) {
		const safe = [...terms].sort((a, b) => b.length - a.length)
			.map((term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
		return new RegExp("(?<![\\p{L}\\p{N}])(?:" + safe.join("|") + ")", "giu");
	}
	// The words around the query, or around the first of its terms.
	function excerpt(text, terms, query) {
		const whole = text.toLowerCase().indexOf(query.toLowerCase());
		const at = Math.max(0, whole >= 0 ? whole : text.search(pattern(terms)));
		const from = at < 50 ? 0 : text.lastIndexOf(" ", at - 40) + 1;
		return (from ? "… " : "") + text.slice(from, from + 150) + (from + 150 < text.length ? " …" : "");
	}
	function marked(text, terms) {
		const out = [];
		let from = 0;
		for (const hit of text.matchAll(pattern(terms))) {
			out.push(text.slice(from, hit.index), make("mark", {}, hit[0]));
			from = hit.index + hit[0].length;
		}
		out.push(text.slice(from));
		return out;
	}
	async function find() {
		const query = input.value.trim();
		if (!query) {
			results.replaceChildren();
			status.textContent = "";
			return;
		}
		try {
			await makeIndex();
		} catch (e) {
			status.textContent = "The search data can't be read: " + e.message;
			return;
		}
		if (query !== input.value.trim())
			return;
		const hits = index.search(query);
		const shown = hits.slice(0, 30);
		status.textContent = hits.length === 0 ? "Nothing found"
			: hits.length > shown.length ? "The best " + shown.length + " of " + hits.length + " results"
			: hits.length === 1 ? "1 result" : hits.length + " results";
		results.replaceChildren(...shown.map((hit) => {
			const terms = hit.terms.length ? hit.terms : [query.toLowerCase()];
			const found = documents[hit.id];
			return make("li", {}, make("a", { href: found.url },
				make("span", { className: "kind" }, kinds[hit.kind]), " ",
				make("strong", {}, ...marked(found.title, terms)), " ",
				make("span", { className: "where" }, ...marked(found.where, terms)),
				...(hit.kind === "section" || hit.kind === "term"
					? [make("span", { className: "excerpt" }, ...marked(excerpt(found.text, terms, query), terms))] : [])));
		}));
	}
	function open() {
		if (dialog.open)
			return;
		hide();
		dialog.showModal();
		input.focus();
		input.select();
		makeIndex().catch(() => { /* told when somebody searches */ });
	}
	function addSearch(header) {
		const button = make("button", { type: "button", className: "search", title: "Search (press /)" }, "Search");
		button.setAttribute("aria-keyshortcuts", "/");
		button.addEventListener("click", open);
		header.append(button);
		document.body.append(dialog);
		input.addEventListener("input", find);
		dialog.addEventListener("click", (event) => {
			if (event.target === dialog || event.target.closest("a"))
				dialog.close();
		});
		dialog.addEventListener("keydown", (event) => {
			const links = [...results.querySelectorAll("a")];
			const at = links.indexOf(document.activeElement);
			if (event.key === "ArrowDown" && at + 1 < links.length)
				links[at + 1].focus();
			else if (event.key === "ArrowUp" && at >= 0)
				(links[at - 1] ?? input).focus();
			else if (event.key === "Enter" && document.activeElement === input)
				links[0]?.click();
			else
				return;
			event.preventDefault();
		});
	}

	// ---------------------------------------------------------- keys

	function addKeys() {
		document.addEventListener("keydown", (event) => {
			if (event.ctrlKey || event.metaKey || event.altKey || dialog.open ||
			    event.target.closest("input, textarea, select"))
				return;
			const turn = { ArrowLeft: "prev", ArrowRight: "next" }[event.key];
			if (event.key === "/") {
				event.preventDefault();
				open();
			} else if (turn && !event.target.closest("pre, .scroll")) {
				document.querySelector(`nav.pages a[rel=${turn}]`)?.click();
			}
		});
	}

	// What is wider than its place is scrolled by keyboard too.
	function reachWide() {
		for (const box of document.querySelectorAll(".scroll"))
			if (box.scrollWidth > box.clientWidth)
				box.tabIndex = 0;
	}

	const header = document.querySelector("header.top");
	label();
	addSearch(header);
	header.append(themeButton);
	addCopyButtons();
	addDefinitions();
	addKeys();
	reachWide();
	addEventListener("resize", reachWide);
})();
