--- Whether the files of the policies are to call co.cooperative: where tasks can be preempted, policies share
--- their state among tasks, and must not be. The guest has no preemption, and raises in these functions.

return (pcall(require("coropanic").preempt))
