# A project, its synthesis and mapping.
source settings.tcl
file delete $top.rdf
prj_create -name $top -impl impl_1 -dev $part -synthesis lse
foreach source $sources {
    prj_add_source $source
}
prj_add_source ${top}_pins.sv
prj_add_source $top.sdc
prj_set_impl_opt -impl impl_1 top ${top}_pins
prj_save
prj_run Synthesis -impl impl_1 -forceOne
prj_run Map -impl impl_1
prj_close
