/* Slides: text as large as fits, and a light or a dark theme. */

// Make what stands on a sheet smaller until it fits.
function fit(sheet) {
	const large = 34, small = 18;
	const end = sheet.getBoundingClientRect().top + 674;	// the foot begins below
	const text = [...sheet.querySelectorAll("li, p:not(.foot, .book), pre, table")];
	const fits = () => sheet.scrollHeight <= sheet.clientHeight
		&& sheet.scrollWidth <= sheet.clientWidth
		&& text.every(t => t.getBoundingClientRect().bottom <= end)
		&& [...sheet.querySelectorAll("pre")].every(p => p.scrollWidth <= p.clientWidth);
	for (let size = large; size >= small; size--) {
		sheet.style.fontSize = size + "px";
		if (fits()) return;
	}
}

function fitAll() {
	document.documentElement.classList.add("measuring");
	document.querySelectorAll(".sheet").forEach(fit);
	document.documentElement.classList.remove("measuring");
}

const root = document.documentElement;
const query = new URLSearchParams(location.search);
if (query.has("dark")) root.dataset.theme = "dark";
fitAll();
document.documentElement.classList.add("fitted");
