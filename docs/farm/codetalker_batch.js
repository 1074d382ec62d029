// SPDX-License-Identifier: GPL-3.0-or-later
//
// A job type for Flamenco (https://flamenco.blender.org): splits a CodeTalker batch into tasks of some rows
// each, and ends with a task that reports on all rows and runs those that were lost.
//
// Put this file into the `scripts` folder beside the Flamenco Manager, and restart it.  All Workers must see
// the manifest, what it names, and the output folder under the same paths.

const JOB_TYPE = {
    label: "CodeTalker Batch",
    description: "Speech to facial animation, one clip per row of a manifest",
    settings: [
        { key: "manifest", type: "string", subtype: "file_path", required: true,
          description: "CSV or JSON file with one row per clip, or a folder of sound files" },
        { key: "output", type: "string", subtype: "dir_path", required: true,
          description: "Folder for all results" },
        { key: "row_count", type: "int32", required: true, default: 100,
          description: "How many rows the manifest has; more does no harm" },
        { key: "rows_per_task", type: "int32", required: true, default: 20,
          description: "Rows that one Worker takes at a time; it loads the model once for them" },
        { key: "program", type: "string", required: true, default: "{blender}",
          description: "Blender with the extension enabled, or a Python that has the package" },
        { key: "without_blender", type: "bool", required: true, default: false,
          description: "The program is a Python, and the rows name no .blend: motion files are made" },
        { key: "options", type: "string", required: false, default: "",
          description: "More options for the batch, separated by spaces, such as --style calm" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const rowCount = Math.max(1, settings.row_count);
    const rowsPerTask = Math.max(1, settings.rows_per_task);

    const report = author.Task("report", "misc");
    for (let first = 1; first <= rowCount; first += rowsPerTask) {
        const last = first + rowsPerTask - 1;
        // The last task takes what a manifest has beyond the number that was given.
        const rows = last >= rowCount ? `${first}-1000000` : `${first}-${last}`;
        const task = author.Task(`rows ${rows}`, "misc");
        task.addCommand(batchCommand(settings, ["--rows", rows]));
        report.addDependency(task);
        job.addTask(task);
    }
    // Finished rows are recognised, so this only looks at them.
    report.addCommand(batchCommand(settings, []));
    job.addTask(report);
}

function batchCommand(settings, more) {
    const start = settings.without_blender
        ? ["-m", "codetalker_blender"]
        : ["--background", "--command", "codetalker"];
    const extra = (settings.options || "").split(" ").filter(part => part.length > 0);
    return author.Command("exec", {
        exe: settings.program,
        args: start.concat(["batch", settings.manifest, "--output", settings.output], extra, more),
    });
}
