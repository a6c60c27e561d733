# Place, route and timing analysis of the mapped project.
source settings.tcl
prj_open $top.rdf
prj_run PAR -impl impl_1
prj_close
