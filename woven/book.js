// The pages need no script. This adds one button: light, dark, or as the system says.
(function () {
	"use strict";
	var root = document.documentElement, key = "theme";
	function stored() {
		try { return localStorage.getItem(key); } catch (e) { return null; }
	}
	function store(theme) {
		try { localStorage.setItem(key, theme); } catch (e) { /* private mode */ }
	}
	if (stored())
		root.dataset.theme = stored();
	document.addEventListener("DOMContentLoaded", function () {
		var button = document.createElement("button");
		var dark = matchMedia("(prefers-color-scheme: dark)");
		function now() {
			return root.dataset.theme || (dark.matches ? "dark" : "light");
		}
		function label() {
			button.textContent = now() === "dark" ? "Light page" : "Dark page";
		}
		button.type = "button";
		button.className = "theme";
		button.addEventListener("click", function () {
			root.dataset.theme = now() === "dark" ? "light" : "dark";
			store(root.dataset.theme);
			label();
		});
		dark.addEventListener("change", label);
		label();
		document.querySelector("header.top").append(button);
	});
})();
