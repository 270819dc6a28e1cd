"""URLs for sign-in, sign-out and the account page."""

from django.urls import path

from evdash.accounts import views

urlpatterns = [
    path("sign-in/", views.SignIn.as_view(), name="sign-in"),
    path("sign-in/<str:secret>/", views.sign_in_link, name="sign-in-link"),
    path("sign-out/", views.SignOut.as_view(), name="sign-out"),
    path("account/", views.account, name="account"),
    path("account/tokens/<int:number>/", views.token, name="token"),
]
