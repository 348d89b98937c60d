/* A lecture in a browser; S opens the speaker's view, D changes the theme. */
Reveal.initialize({
	width: 1280, height: 720, margin: 0.02, center: false,
	hash: true, progress: true, slideNumber: "c/t", controls: false, transition: "none",
	plugins: [RevealNotes],
});
Reveal.addKeyBinding({ keyCode: 68, key: "D", description: "Dark or light" }, () => {
	root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
});
