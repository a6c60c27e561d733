# Place, route and timing analysis of the synthesized project.
source settings.tcl
load_package flow
project_open $top
execute_module -tool fit
execute_module -tool sta
project_close
